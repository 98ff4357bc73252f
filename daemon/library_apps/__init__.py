"""Tell apps that show photos, immich and PhotoPrism, of results that were published or removed."""
