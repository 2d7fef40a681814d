"""From any mesh to the solid that it stands for: `make.make_solid`, one step a module."""
