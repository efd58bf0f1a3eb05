"""What one finished exchange is when it leaves the observer: the format of records."""
