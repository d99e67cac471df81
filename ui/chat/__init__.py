"""Page Chat: conversations, their branches, and models side by side."""
