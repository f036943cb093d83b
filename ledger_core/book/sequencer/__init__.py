"""The one way into a book's log: the queue, the unsigned tail, the notary, the answers."""
