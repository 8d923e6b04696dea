from tracking.project import client, empty_store, project

__all__ = ["client", "empty_store", "project"]
