"""An HTTP service for a model. It follows an alias of the registry."""
