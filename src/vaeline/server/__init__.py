"""A team's server: MLflow with users and rights, on a PostgreSQL of its own."""
