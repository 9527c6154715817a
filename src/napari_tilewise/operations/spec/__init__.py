"""What a declaration is written with: the operation, its parameters, its passes."""
