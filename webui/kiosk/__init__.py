"""The kiosk: a chat that stands in a hall all day without anybody looking after it."""
