"""Where the code comes from: local folders, git repositories, archives."""
