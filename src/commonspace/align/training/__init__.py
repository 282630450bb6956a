"""Training: what a recipe says, the trainer that follows it, and the figures that it watches."""
