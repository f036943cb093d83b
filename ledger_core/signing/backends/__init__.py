"""Where keys live: one module a back-end, all behind `signing.port`."""
