"""Every official SDK as a client of every backend: one adapter a client protocol, scenarios written once."""
