"""The patch formats: JSON Patch, JSON Merge Patch, strategic merge patch. Pure: documents in, document out."""
