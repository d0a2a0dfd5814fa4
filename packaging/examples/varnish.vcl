# Varnish in front of ws-echo --proxy-protocol on port 9000: copy this to /etc/varnish/default.vcl.
# The address of the client is in the record as peer=. ws-echo-proxies(7) explains each line.
# varnishd's parameter pipe_timeout (60 s) ends a WebSocket without traffic. It must be longer than --ping-interval.
vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "9000";
    # Crucial: without it, ws-echo --proxy-protocol answers 400.
    .proxy_header = 2;
}

sub vcl_recv {
    # Crucial: Varnish forwards an Upgrade only in a pipe.
    if (req.http.upgrade ~ "(?i)websocket") { return (pipe); }
}

sub vcl_pipe {
    # Crucial: Varnish removes these two fields.
    set bereq.http.upgrade = req.http.upgrade;
    set bereq.http.connection = req.http.connection;
}
