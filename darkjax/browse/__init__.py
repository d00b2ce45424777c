"""Pictures of what a configuration trains on."""
