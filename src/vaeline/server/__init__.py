"""A team's server: MLflow with users and rights, on its own PostgreSQL."""
