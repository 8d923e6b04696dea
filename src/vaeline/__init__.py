"""vaeline: a pipeline that trains, checks, versions, serves and monitors variational autoencoders."""
