"""Many models as one voice: who is asked, who steps in, and how nobody says a word twice."""
