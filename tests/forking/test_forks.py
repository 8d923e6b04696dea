"""Commands that run as forks of one process: they must do what a process of their own does."""
