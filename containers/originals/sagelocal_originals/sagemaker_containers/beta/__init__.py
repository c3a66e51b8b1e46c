"""`framework` is what scripts import from here."""
