"""What the acceptance tests drive the program with: the program itself, clients, next hops, messages."""
