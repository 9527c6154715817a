"""The Operations panel."""
