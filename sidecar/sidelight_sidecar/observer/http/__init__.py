"""HTTP/1.1 and HTTP/2 as a bystander reads them, and the Transaction that both make."""
