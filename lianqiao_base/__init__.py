"""What both zones share and what knows neither: typed errors, canonical encodings, TLS, logging."""
