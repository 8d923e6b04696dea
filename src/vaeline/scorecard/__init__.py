"""What `evaluate` measures, a module for each group of figures; every group says how it was measured."""
