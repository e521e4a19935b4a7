package s3api

// TakesUploads says whether there are uploads in parts.
var TakesUploads = routes[route{object, post, "uploads"}].status != refused
