"""What the launcher does before any package is installed: standard library only."""
