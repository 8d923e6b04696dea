"""`params.yaml`, typed: one module a section. `whole` reads all of them, `base` what they share."""
