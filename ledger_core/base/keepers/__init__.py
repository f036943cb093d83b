"""How a key that lies elsewhere is reached: on a token, in AWS KMS, in Vault. Not what is done with it there."""
