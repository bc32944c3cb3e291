namespace ValueCanvas.ProxyBench.Processes;

/// <summary>
/// nginx and haproxy as somebody who knows them would set them up for this: all cores, keep-alive on both sides, no logs, no request body
/// that goes through a file, events of a stream passed on at once.
/// </summary>
internal static class Configurations
{
    public static string Nginx(int port, int upstream, string prefix) => $$"""
        daemon off;
        worker_processes auto;
        worker_rlimit_nofile 65536;
        pid {{prefix}}/nginx.pid;
        error_log {{prefix}}/logs/error.log warn;
        events { worker_connections 8192; }
        http {
            access_log off;
            tcp_nodelay on;
            keepalive_timeout 300s;
            keepalive_requests 100000000;
            client_max_body_size 32m;
            client_body_buffer_size 128k;
            client_body_temp_path {{prefix}}/body;
            proxy_temp_path {{prefix}}/proxy;
            fastcgi_temp_path {{prefix}}/fastcgi;
            uwsgi_temp_path {{prefix}}/uwsgi;
            scgi_temp_path {{prefix}}/scgi;
            upstream model {
                server 127.0.0.1:{{upstream}};
                keepalive 1024;
                keepalive_requests 100000000;
            }
            server {
                listen 127.0.0.1:{{port}} backlog=4096 reuseport;
                location / {
                    proxy_pass http://model;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_buffering off;
                    proxy_read_timeout 600s;
                }
            }
        }
        """;

    public static string Haproxy(int port, int upstream) => $"""
        global
            maxconn 8192
            nbthread {Environment.ProcessorCount}
        defaults
            mode http
            timeout connect 2s
            timeout client 600s
            timeout server 600s
            option http-keep-alive
            option http-no-delay
            http-reuse always
        frontend clients
            bind 127.0.0.1:{port}
            default_backend model
        backend model
            server model 127.0.0.1:{upstream} pool-max-conn 2048

        """;
}
