"""What words mean to the router: data only, one file per field. How words combine is the grammar's business."""
