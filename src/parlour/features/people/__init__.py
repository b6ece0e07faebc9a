"""Who is who: visitors, users, tokens, and what each may do."""
