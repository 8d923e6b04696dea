"""The page that reports what changed between two commits: parameters, data, metrics, figures, verdicts and costs."""
