from tracking.project import client, project

__all__ = ["client", "project"]
