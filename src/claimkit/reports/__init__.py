"""Reports: documents as data, charts, and the renderers that people forward."""
