"""Reports as pages: one HTML file without a network, or JSON."""
