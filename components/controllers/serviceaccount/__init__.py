"""A default ServiceAccount in every namespace."""
