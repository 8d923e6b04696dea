"""What changed between two commits, as a page: parameters, data, figures, pictures, verdicts and costs."""
