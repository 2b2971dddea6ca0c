"""The API: models of our kinds, reasons, conditions and the CRD generator; imports nothing of ours but errors."""
