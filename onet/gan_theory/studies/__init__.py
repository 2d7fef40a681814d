"""What the theory of adversarial training says, as tables and pictures: a module for each study."""
