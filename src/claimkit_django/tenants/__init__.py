"""Tenants in Django: who they are, who belongs to them, and the scope that keeps their rows apart."""
