"""The gateway: what other programs reach over HTTP."""
