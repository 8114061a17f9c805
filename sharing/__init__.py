"""What leaves the project, or comes to it: data, submissions, the network in other forms."""
