"""Clients of other people's services: they speak the vendor's protocol and hold no policy of ours."""
