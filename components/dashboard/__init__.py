"""The dashboard: a page that every master serves at `/ui`, and what opens it logged in.

    browser ──▶ extension.Pages     files of the page, public, no data in them
            ──▶ the API and /kuberaft/v1   everything that is shown, by the API server's own authentication
            ──▶ drills.Drills       drills of the cluster, through the supervisor's control socket

`access` and `proxy` belong to `kuberaft dashboard`: a service account that may read, and a door on 127.0.0.1 for
which a browser needs no certificate. What is shown and where it comes from: `docs/dashboard.md`.
"""
