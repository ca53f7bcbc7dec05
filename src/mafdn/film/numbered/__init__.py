"""Films as numbered pictures, such as `frames/%06d.png`: their names, reading them as a film, and writing them."""
