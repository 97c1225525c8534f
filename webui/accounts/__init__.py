"""Who may log in, and who has: users, passwords, sessions, failed attempts. It knows neither HTTP nor what is to be seen."""
