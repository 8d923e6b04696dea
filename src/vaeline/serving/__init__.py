"""An HTTP service that follows a model of the registry."""
