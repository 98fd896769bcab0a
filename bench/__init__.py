"""The benchmark: generated clusters, the database's own floor, and what ovnqos needs beside it."""
